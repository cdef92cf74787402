"""The accounts of the team: logins, sessions, the second factor, roles."""
