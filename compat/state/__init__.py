"""What a running program knows at a moment: scopes, names, policies, masks, shapes."""
