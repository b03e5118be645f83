"""What happens to an attribute certificate after it was issued."""
