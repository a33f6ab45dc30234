"""Topics: a topic exchange matches routing keys of several words against patterns.

A word is what is between dots; * stands for exactly one word, # for any number of words, none included.
"""

import os

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://localhost")))
channel = connection.channel()
channel.exchange_declare("example.animals", "topic")

queues = {}
for pattern in ("*.brown.*", "*.*.rabbit", "lazy.#"):
    queues[pattern] = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queues[pattern], "example.animals", routing_key=pattern)

channel.confirm_delivery()
for key in ("quick.brown.rabbit", "lazy.brown.hare", "lazy.white.rabbit", "lazy", "quick.red.fox"):
    channel.basic_publish("example.animals", key, b"")

for pattern, queue in queues.items():
    keys = []
    while True:
        method, _properties, _body = channel.basic_get(queue, auto_ack=True)
        if method is None:
            break
        keys.append(method.routing_key)
    print(f"{pattern:12} matches {', '.join(keys)}")
    assert keys, pattern

channel.exchange_delete("example.animals")
connection.close()
