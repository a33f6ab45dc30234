//! A relay between one client and the broker, so that the client's socket can be dropped in mid-flight: half a frame
//! written, confirms on their way, no goodbye.

use std::{io, net::SocketAddr};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// A relay for one connection. Cuts it when dropped.
pub(crate) struct Relay {
    address: SocketAddr,
    cutter: AbortHandle,
}

impl Relay {
    /// Listens on a port of its own and passes the first connection on to `broker`.
    pub(crate) async fn open(broker: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let cutter = tokio::spawn(async move {
            // An end of any kind is one for the client; why it came is not the relay's to say.
            let _ = pass_on(listener, broker).await;
        });
        Ok(Self { address, cutter: cutter.abort_handle() })
    }

    /// Where the client connects.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What cuts the connection from elsewhere.
    pub(crate) fn cutter(&self) -> AbortHandle {
        self.cutter.clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cutter.abort();
    }
}

async fn pass_on(listener: TcpListener, broker: SocketAddr) -> io::Result<()> {
    let (mut client, _) = listener.accept().await?;
    // Nobody else is let in, and who still tries is told.
    drop(listener);
    let mut server = TcpStream::connect(broker).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
