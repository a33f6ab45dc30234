"""Dead-lettering and retry: a failed job waits a little and is tried again, and is put aside after three attempts.

    example.jobs --rejected--> example.jobs.retry --expired after 200 ms--> example.jobs
                 --third attempt failed--> example.jobs.failed

The header x-death counts how often a message died where; no state is kept by the worker.
"""

import os

import pika

ATTEMPTS = 3

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://localhost")))
channel = connection.channel()
to_retry = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "example.jobs.retry"}
to_jobs = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "example.jobs", "x-message-ttl": 200}
channel.queue_declare("example.jobs", durable=True, arguments=to_retry)
channel.queue_declare("example.jobs.retry", durable=True, arguments=to_jobs)
channel.queue_declare("example.jobs.failed", durable=True)

channel.confirm_delivery()
persistent = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
for job in ("good", "bad"):
    channel.basic_publish("", "example.jobs", job.encode(), persistent)


def failures(properties):
    """How often this message was rejected from example.jobs."""
    deaths = (properties.headers or {}).get("x-death", [])
    return sum(death["count"] for death in deaths if death["queue"] == "example.jobs" and death["reason"] == "rejected")


settled = []
for method, properties, body in channel.consume("example.jobs"):
    attempt = failures(properties) + 1
    if body == b"good":
        print(f"{body.decode()}: attempt {attempt} succeeds")
        channel.basic_ack(method.delivery_tag)
        settled.append(body)
    elif attempt < ATTEMPTS:
        print(f"{body.decode()}: attempt {attempt} fails, again later")
        channel.basic_reject(method.delivery_tag, requeue=False)
    else:
        print(f"{body.decode()}: attempt {attempt} fails, put aside")
        channel.basic_publish("", "example.jobs.failed", body, properties)
        channel.basic_ack(method.delivery_tag)
        settled.append(body)
    if len(settled) == 2:
        break
channel.cancel()

_method, _properties, body = channel.basic_get("example.jobs.failed", auto_ack=True)
assert body == b"bad"
for queue in ("example.jobs", "example.jobs.retry", "example.jobs.failed"):
    channel.queue_delete(queue)
connection.close()
