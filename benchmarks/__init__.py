"""Benchmarks: what the system costs beside a named peer or limit, measured in the same run.

Belongs here: one module per question, the data they share (`made_up`), how times are taken
(`measuring`). Does not belong here: tests of behaviour. Trust the ratios; the seconds are those
of the machine at that moment.

    python -m benchmarks                 # all
    python -m benchmarks lane storage    # some
    python -m benchmarks --quick         # small sizes, to see that they run; ratios mean little
"""
