"""The operator's command line: looks at a deployed stack, and changes what belongs to it."""
