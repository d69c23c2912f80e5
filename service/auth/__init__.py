"""Who somebody is and what they may: keys, tokens, sessions, and the table of roles and routes."""
