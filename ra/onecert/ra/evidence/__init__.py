"""Evidence: scans and photos of what an applicant showed, kept encrypted and bound to what is approved."""
