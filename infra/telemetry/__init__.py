"""What a person can see from outside: logs (`logs`), traces (`tracing`), metrics (`metrics`).

It tells; it never decides. Nothing works differently because of it, and nothing waits for whoever
collects it.
"""
