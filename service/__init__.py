"""The front doors over HTTP; imports point down only: api, workspace, store and jobs, the library."""
