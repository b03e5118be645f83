"""Coverage-guided fuzzing of the verifier: whatever bytes go in, only its own errors come out.

``targets/`` has one module per way into the library: seeds, and what must hold for every input. They are
plain functions of bytes: ``make fuzz`` drives them with atheris, and the ordinary tests replay ``corpus/``
through them without it.
"""
