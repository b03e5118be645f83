"""What an operator finds on their desk: work that waits, and what they did last."""
