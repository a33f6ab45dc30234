//! Headers: a headers exchange looks at a message's headers in place of its routing key.
//!
//! x-match says whether all of a binding's headers must be there or any one of them is enough.

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind, Result};

const EXCHANGE: &str = "example.documents";

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://localhost".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let options = ExchangeDeclareOptions::default();
    channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Headers, options, FieldTable::default()).await?;
    let pdf = bound_queue(&channel, table(&[("x-match", "all"), ("kind", "invoice"), ("format", "pdf")])).await?;
    let mut any = table(&[("x-match", "any"), ("kind", "invoice")]);
    any.insert("urgent".into(), AMQPValue::Boolean(true));
    let urgent = bound_queue(&channel, any).await?;

    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let documents = [
        ("invoice.pdf", "invoice", "pdf", false),
        ("invoice.html", "invoice", "html", false),
        ("letter.pdf", "letter", "pdf", true),
        ("note.txt", "note", "text", false),
    ];
    for (name, kind, format, urgent) in documents {
        let mut headers = table(&[("kind", kind), ("format", format)]);
        headers.insert("urgent".into(), AMQPValue::Boolean(urgent));
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default().with_headers(headers));
        channel.basic_publish(EXCHANGE.into(), "".into(), options, name.as_bytes(), properties).await?.await?;
    }

    let (pdf, urgent) = (bodies(&channel, pdf).await?, bodies(&channel, urgent).await?);
    println!("invoices as PDF: {}", pdf.join(", "));
    println!("invoices, and all that is urgent: {}", urgent.join(", "));
    assert_eq!(pdf, ["invoice.pdf"]);
    assert_eq!(urgent, ["invoice.pdf", "invoice.html", "letter.pdf"]);
    channel.exchange_delete(EXCHANGE.into(), ExchangeDeleteOptions::default()).await?;
    connection.close(200, "done".into()).await
}

fn table(entries: &[(&str, &str)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert((*key).into(), AMQPValue::LongString((*value).into()));
    }
    table
}

async fn bound_queue(channel: &Channel, headers: FieldTable) -> Result<ShortString> {
    let queue = channel.queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default()).await?;
    let name = queue.name().clone();
    channel.queue_bind(name.clone(), EXCHANGE.into(), "".into(), QueueBindOptions::default(), headers).await?;
    Ok(name)
}

async fn bodies(channel: &Channel, queue: ShortString) -> Result<Vec<String>> {
    let mut bodies = Vec::new();
    while let Some(message) = channel.basic_get(queue.clone(), BasicGetOptions { no_ack: true }).await? {
        bodies.push(String::from_utf8_lossy(&message.data).into_owned());
    }
    Ok(bodies)
}
