"""Headers: a headers exchange looks at a message's headers in place of its routing key.

x-match says whether all of a binding's headers must be there or any one of them is enough.
"""

import os

import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ.get("AMQP_URL", "amqp://localhost")))
channel = connection.channel()
channel.exchange_declare("example.documents", "headers")

bindings = {
    "invoices as PDF": {"x-match": "all", "kind": "invoice", "format": "pdf"},
    "invoices, and all that is urgent": {"x-match": "any", "kind": "invoice", "urgent": True},
}
queues = {}
for name, arguments in bindings.items():
    queues[name] = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queues[name], "example.documents", arguments=arguments)

documents = {
    "invoice.pdf": {"kind": "invoice", "format": "pdf"},
    "invoice.html": {"kind": "invoice", "format": "html"},
    "letter.pdf": {"kind": "letter", "format": "pdf", "urgent": True},
    "note.txt": {"kind": "note", "format": "text"},
}
channel.confirm_delivery()
for name, headers in documents.items():
    channel.basic_publish("example.documents", "", name.encode(), pika.BasicProperties(headers=headers))

received = {}
for name, queue in queues.items():
    received[name] = []
    while True:
        method, _properties, body = channel.basic_get(queue, auto_ack=True)
        if method is None:
            break
        received[name].append(body.decode())
    print(f"{name}: {', '.join(received[name])}")
assert received["invoices as PDF"] == ["invoice.pdf"]
assert received["invoices, and all that is urgent"] == ["invoice.pdf", "invoice.html", "letter.pdf"]

channel.exchange_delete("example.documents")
connection.close()
