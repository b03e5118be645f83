"""Key ceremonies: from a reviewed file to authorities, certificates between them, and a signed record."""
