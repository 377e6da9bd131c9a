# temporalio lives in the benches' own environment (.venv-bench). What bench/peers uses of it.
