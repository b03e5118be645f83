"""One box that finds anything: names by any part of them, numbers by what they look like."""
