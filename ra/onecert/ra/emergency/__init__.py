"""Many certificates at once: frozen by one officer, approved by another, carried out in chunks."""
