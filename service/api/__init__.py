"""The routes: one thin router for each resource, which parses, calls the workspace and answers."""
