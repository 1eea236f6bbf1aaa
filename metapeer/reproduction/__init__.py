"""The stages in a row, as a paper ran them: plan, run, ledger, claims."""
