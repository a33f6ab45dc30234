//! One connection of a client, over a relay of its own, under a number of its own.

use std::{future::Future, sync::Arc};

use lapin::{Channel, Connection, ConnectionProperties};
use tokio::time::timeout;

use crate::{
    history::{Operation, Outcome},
    relay::Relay,
    scene::{Scene, io_error, timed_out},
};

/// One connection with one channel.
pub(crate) struct Session {
    pub(crate) scene: Arc<Scene>,
    pub(crate) process: u32,
    pub(crate) channel: Channel,
    connection: Connection,
    _relay: Relay,
}

impl Session {
    /// Connects and opens a channel.
    pub(crate) async fn open(scene: &Arc<Scene>) -> lapin::Result<Self> {
        let process = scene.recorder.process();
        scene.recorder.record(process, Operation::Connect, Outcome::Started);
        let opened = Self::open_as(scene, process).await;
        let outcome = if opened.is_ok() { Outcome::Ok } else { Outcome::Fail };
        scene.recorder.record(process, Operation::Connect, outcome);
        opened
    }

    async fn open_as(scene: &Arc<Scene>, process: u32) -> lapin::Result<Self> {
        let relay = Relay::open(scene.address).await.map_err(io_error)?;
        let uri = scene.uri_at(relay.address());
        let connecting = Connection::connect_uri(uri, ConnectionProperties::default());
        let connection = within(scene, connecting).await?;
        let channel = within(scene, connection.create_channel()).await?;
        scene.connected(process, relay.cutter());
        Ok(Self { scene: Arc::clone(scene), process, channel, connection, _relay: relay })
    }

    /// Writes down what this process does or sees.
    pub(crate) fn record(&self, operation: Operation, outcome: Outcome) {
        self.scene.recorder.record(self.process, operation, outcome);
    }

    /// Waits for an answer, as long as there is patience.
    pub(crate) async fn answer<T>(&self, answer: impl Future<Output = lapin::Result<T>>) -> lapin::Result<T> {
        within(&self.scene, answer).await
    }

    /// Says goodbye: what was not acknowledged goes back.
    pub(crate) async fn close(self) {
        // The connection may have ended before; that is as good.
        let _ = self.answer(self.connection.close(200, "done".into())).await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.scene.disconnected(self.process);
    }
}

async fn within<T>(scene: &Scene, answer: impl Future<Output = lapin::Result<T>>) -> lapin::Result<T> {
    timeout(scene.patience(), answer).await.unwrap_or_else(|_| Err(timed_out()))
}
