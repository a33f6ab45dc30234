"""Routing: a direct exchange sends a message to the queues that are bound with the message's routing key.

Here one queue keeps errors only, and another one takes every severity.
"""

import os

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://localhost")))
channel = connection.channel()
channel.exchange_declare("example.logs", "direct")

errors = channel.queue_declare("", exclusive=True).method.queue
channel.queue_bind(errors, "example.logs", routing_key="error")
everything = channel.queue_declare("", exclusive=True).method.queue
for severity in ("info", "warning", "error"):
    channel.queue_bind(everything, "example.logs", routing_key=severity)

channel.confirm_delivery()
for severity in ("info", "warning", "error", "info"):
    channel.basic_publish("example.logs", severity, f"a line of severity {severity}".encode())

for name, queue, expected in (("errors", errors, 1), ("everything", everything, 4)):
    for _ in range(expected):
        method, _properties, body = channel.basic_get(queue, auto_ack=True)
        print(f"{name}: [{method.routing_key}] {body.decode()}")
    assert channel.basic_get(queue) == (None, None, None)

channel.exchange_delete("example.logs")
connection.close()
