"""What several adapters share: no framework is imported here."""
