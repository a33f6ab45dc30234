"""Retry with back-off: a job that fails comes back later each time, and is put aside after four attempts.

The broker does all of it: the job waits in its place in the queue, on disk, and takes nothing of the worker's prefetch. The
header x-delivery-count says how often it failed. Needs Leveret.
"""

import os
import time

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://localhost")))
channel = connection.channel()
channel.queue_declare("example.mails.failed", durable=True)
channel.queue_declare("example.mails", durable=True, arguments={
    "x-delayed-retry-type": "failed",  # what is rejected with requeue, or was with a worker that died
    "x-delayed-retry-min": 100,  # ms
    "x-delayed-retry-mode": "exponential",  # then 200, 400 ...
    "x-delivery-limit": 3,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": "example.mails.failed",
})
channel.confirm_delivery()
channel.basic_publish("", "example.mails", b"mail", pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent))

begin = time.time()
failed = []
for method, properties, body in channel.consume("example.mails", inactivity_timeout=2):
    if method is None:
        break
    count = (properties.headers or {}).get("x-delivery-count", 0)
    print(f"after {(time.time() - begin) * 1000:.0f} ms: attempt {count + 1} fails")
    failed.append(count)
    channel.basic_reject(method.delivery_tag, requeue=True)
    if len(failed) == 4:
        break
channel.cancel()

assert failed == [0, 1, 2, 3]
aside = next(channel.consume("example.mails.failed", auto_ack=True))
print(f"put aside: {aside[2].decode()}")
channel.cancel()
for queue in ("example.mails", "example.mails.failed"):
    channel.queue_delete(queue)
connection.close()
