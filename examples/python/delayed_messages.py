"""Delayed messages: an exchange holds each message back until its time, and then routes it as it would have before.

The header x-delay says how many milliseconds from now, x-deliver-at says when. What waits is on disk when it is confirmed.
Needs Leveret, or RabbitMQ's delayed-message plugin for x-delay.
"""

import os
import time

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://localhost")))
channel = connection.channel()
channel.exchange_declare("example.later", "x-delayed-message", durable=True, arguments={"x-delayed-type": "direct"})
channel.queue_declare("example.reminders", durable=True)
channel.queue_bind("example.reminders", "example.later", routing_key="reminders")
channel.confirm_delivery()

begin = time.time()
in_ms = {"in half a second": {"x-delay": 500}, "in 200 ms": {"x-delay": 200}, "at once": {}}
at_ms = {"at a time": {"x-deliver-at": int(begin * 1000) + 350}}
for text, headers in {**in_ms, **at_ms}.items():
    properties = pika.BasicProperties(headers=headers, delivery_mode=pika.DeliveryMode.Persistent)
    channel.basic_publish("example.later", "reminders", text.encode(), properties)

arrived = []
for method, properties, body in channel.consume("example.reminders"):
    print(f"after {(time.time() - begin) * 1000:.0f} ms: {body.decode()}")
    channel.basic_ack(method.delivery_tag)
    arrived.append(body.decode())
    if len(arrived) == 4:
        break
channel.cancel()

assert arrived == ["at once", "in 200 ms", "at a time", "in half a second"]
channel.queue_delete("example.reminders")
channel.exchange_delete("example.later")
connection.close()
