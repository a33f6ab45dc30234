"""Work queue: tasks are shared out among workers, and a task is done when its worker says so.

The queue is durable and the messages persistent: both survive a restart of the broker. With a prefetch of 1 a worker
gets its next task when it has acknowledged the last one, so a slow worker does not hold tasks back.
"""

import os

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://localhost")))
channel = connection.channel()
channel.queue_declare("example.tasks", durable=True)

channel.confirm_delivery()  # from here on, basic_publish returns when the broker has the message on disk
persistent = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
for number in range(6):
    channel.basic_publish("", "example.tasks", f"task {number}".encode(), persistent)
print("published 6 tasks")

done = 0


def start_worker(name):
    """A worker on a channel of its own; in real life, a process of its own."""
    worker = connection.channel()
    worker.basic_qos(prefetch_count=1)

    def work(_, method, properties, body):
        global done
        print(f"{name}: {body.decode()}")
        worker.basic_ack(method.delivery_tag)
        done += 1

    worker.basic_consume("example.tasks", work)


start_worker("worker 1")
start_worker("worker 2")
while done < 6:
    connection.process_data_events(time_limit=1)

channel.queue_delete("example.tasks")
connection.close()
print("all tasks are done")
