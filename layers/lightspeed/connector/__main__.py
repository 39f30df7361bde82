"""`python -m connector`: the operator's command line."""

from connector.operator.main import main

raise SystemExit(main())
