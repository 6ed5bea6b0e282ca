"""`adserve bench`: our speed as a ratio to the bare framework on the same machine, in one run."""
