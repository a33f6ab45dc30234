//! RPC by direct reply-to: a question goes through a queue, its answer comes straight back to who asked.
//!
//! The pseudo-queue amq.rabbitmq.reply-to needs no declaration. It is consumed without acknowledgement, on the channel
//! that publishes the questions; the correlation id tells which answer belongs to which question.

use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties, Consumer, Result};

const QUESTIONS: &str = "example.squares";
const REPLY_TO: &str = "amq.rabbitmq.reply-to";

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::var("AMQP_URL").unwrap_or_else(|_| "amqp://localhost".to_owned());
    let server = Connection::connect(&url, ConnectionProperties::default()).await?;
    start_server(&server).await?;

    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut answers = channel.basic_consume(REPLY_TO.into(), "".into(), options, FieldTable::default()).await?;
    for number in 1..=3 {
        let question = number.to_string();
        let properties =
            BasicProperties::default().with_reply_to(REPLY_TO.into()).with_correlation_id(question.as_str().into());
        let options = BasicPublishOptions::default();
        channel.basic_publish("".into(), QUESTIONS.into(), options, question.as_bytes(), properties).await?.await?;
    }
    for _ in 1..=3 {
        let (question, answer) = next_answer(&mut answers).await?;
        println!("the square of {question} is {answer}");
        assert_eq!(answer, (question * question));
    }
    connection.close(200, "done".into()).await?;
    server.close(200, "done".into()).await
}

async fn next_answer(answers: &mut Consumer) -> Result<(u32, u32)> {
    let answer = answers.next().await.transpose()?.expect("the consumer goes on");
    let question = answer.properties.correlation_id().as_ref().and_then(|id| id.as_str().parse().ok());
    let number = String::from_utf8_lossy(&answer.data).parse();
    Ok((question.expect("a correlation id of ours"), number.expect("a number")))
}

/// The server; in real life, a process of its own.
async fn start_server(connection: &Connection) -> Result<()> {
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions::default().auto_delete();
    channel.queue_declare(QUESTIONS.into(), options, FieldTable::default()).await?;
    let consume = BasicConsumeOptions::default();
    let mut questions = channel.basic_consume(QUESTIONS.into(), "".into(), consume, FieldTable::default()).await?;
    tokio::spawn(async move {
        while let Some(question) = questions.next().await.transpose()? {
            let number: u64 = String::from_utf8_lossy(&question.data).parse().unwrap_or(0);
            let Some(reply_to) = question.properties.reply_to().clone() else { continue };
            let mut properties = BasicProperties::default();
            if let Some(id) = question.properties.correlation_id().clone() {
                properties = properties.with_correlation_id(id);
            }
            let (options, answer) = (BasicPublishOptions::default(), (number * number).to_string());
            channel.basic_publish("".into(), reply_to, options, answer.as_bytes(), properties).await?.await?;
            question.ack(BasicAckOptions::default()).await?;
        }
        Result::Ok(())
    });
    Ok(())
}
