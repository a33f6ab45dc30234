"""Message groups: workers share a queue, and yet what belongs together is done in order, one after the other.

All messages with the same group are with one worker at a time; groups go to different workers beside each other. Needs
Leveret.
"""

import os

import pika

CUSTOMERS = ("ann", "bob", "cem")
STEPS = ("ordered", "paid", "sent")

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://localhost")))
channel = connection.channel()
channel.queue_declare("example.orders", durable=True, arguments={"x-message-group-header": "x-group-id"})
channel.confirm_delivery()
for step in STEPS:
    for customer in CUSTOMERS:
        properties = pika.BasicProperties(headers={"x-group-id": customer}, delivery_mode=pika.DeliveryMode.Persistent)
        channel.basic_publish("", "example.orders", step.encode(), properties)

done = {customer: [] for customer in CUSTOMERS}
held = {}


def start_worker(name):
    """A worker on a channel of its own; in real life, a process of its own."""
    worker = connection.channel()
    worker.basic_qos(prefetch_count=1)

    def work(_, method, properties, body):
        customer = properties.headers["x-group-id"]
        assert customer not in held, "one worker at a time has a customer's messages"
        held[customer] = name
        connection.call_later(0.02, lambda: finish(customer, body.decode(), method.delivery_tag))

    def finish(customer, step, delivery_tag):
        print(f"{name}: {customer} {step}")
        done[customer].append(step)
        del held[customer]
        worker.basic_ack(delivery_tag)

    worker.basic_consume("example.orders", work)


start_worker("worker 1")
start_worker("worker 2")
while any(len(steps) < len(STEPS) for steps in done.values()):
    connection.process_data_events(time_limit=1)

assert all(tuple(steps) == STEPS for steps in done.values())
channel.queue_delete("example.orders")
connection.close()
