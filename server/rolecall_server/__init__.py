"""The server: it watches pods, decides who may have which role, and keeps the credentials fresh.

Read `app.py` for the wiring, `engine/broker.py` for the decisions. Values flow one way:
source → index → policy → queue → issuer → subscription → service.
"""
