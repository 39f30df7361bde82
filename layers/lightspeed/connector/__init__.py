"""The bundle's AWS side, shared by its functions: settings, connections, transformers, problems."""
