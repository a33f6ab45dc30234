"""RPC by direct reply-to: a question goes through a queue, its answer comes straight back to who asked.

The pseudo-queue amq.rabbitmq.reply-to needs no declaration. It is consumed without acknowledgement, on the channel that
publishes the questions; the correlation id tells which answer belongs to which question.
"""

import os
import threading

import pika

URL = os.environ.get("AMQP_URL", "amqp://localhost")
QUESTIONS = 3


def serve(ready):
    """The server: answers as many questions as there will be. In real life, a process of its own."""
    with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
        channel = connection.channel()
        channel.queue_declare("example.squares", auto_delete=True)
        ready.set()
        for served, (method, properties, body) in enumerate(channel.consume("example.squares"), start=1):
            answer = str(int(body) ** 2).encode()
            reply = pika.BasicProperties(correlation_id=properties.correlation_id)
            channel.basic_publish("", properties.reply_to, answer, reply)
            channel.basic_ack(method.delivery_tag)
            if served == QUESTIONS:
                break


ready = threading.Event()
server = threading.Thread(target=serve, args=(ready,))
server.start()
ready.wait()

answers = {}
with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
    channel = connection.channel()

    def answered(_channel, _method, properties, body):
        answers[properties.correlation_id] = int(body)
        print(f"the square of {properties.correlation_id} is {int(body)}")

    channel.basic_consume("amq.rabbitmq.reply-to", answered, auto_ack=True)
    for number in range(1, QUESTIONS + 1):
        properties = pika.BasicProperties(reply_to="amq.rabbitmq.reply-to", correlation_id=str(number))
        channel.basic_publish("", "example.squares", str(number).encode(), properties)
    while len(answers) < QUESTIONS:
        connection.process_data_events(time_limit=1)
server.join()
assert answers == {"1": 1, "2": 4, "3": 9}
