"""The wire to the CA: what is asked and ordered, what each answer means, and which authorities there are."""
