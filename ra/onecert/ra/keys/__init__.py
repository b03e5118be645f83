"""Where an applicant's key was made: on a token at the counter, or in the applicant's browser."""
