"""Measures what Rolecall promises, as ratios within one run: `scripts/bench`.

`endpoint` compares the metadata endpoint with nginx, `arrivals` times pods that come and ask,
`heap` weighs the server's state, `sts` counts calls. `__main__` runs them and prints one table.
"""
