"""HTTP: routes made from the contracts, problem details, health, metrics, live streams, the server.

The only place that knows Starlette and uvicorn. Nothing here decides anything about the laboratory:
a request becomes a message, and the answer or the refusal becomes a response.
"""
