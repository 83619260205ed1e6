"""What would be done."""
