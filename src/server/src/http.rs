//! The HTTP listener: connections within a limit, each with bounded time to say what it wants.
//!
//! Not taken: `axum::serve`, which knows neither bound.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Extension, Router, extract::ConnectInfo};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::listener::Acceptor;

/// For the head of a request, the wait for the next one on a connection that is kept included.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);

/// Serves `routes` until `stop`, and what is under way then to its end. Who comes beyond `connection_max` waits to be
/// accepted until another has gone.
pub(crate) async fn serve(listener: TcpListener, routes: Router, connection_max: usize, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(connection_max.min(Semaphore::MAX_PERMITS)));
    let tasks = TaskTracker::new();
    let mut acceptor = Acceptor::new(listener);
    let accepting = async {
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let (socket, peer) = acceptor.accept().await;
            let served = serve_one(socket, peer, routes.clone(), stop.clone());
            tasks.spawn(async move {
                served.await;
                drop(place);
            });
        }
    };
    stop.run_until_cancelled(accepting).await;
    tasks.close();
    tasks.wait().await;
}

async fn serve_one(socket: TcpStream, peer: SocketAddr, routes: Router, stop: CancellationToken) {
    // Who may log in depends on where he comes from.
    let service = TowerToHyperService::new(routes.layer(Extension(ConnectInfo(peer))));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(socket), service));
    let outcome = match stop.run_until_cancelled(connection.as_mut()).await {
        Some(outcome) => outcome,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%peer, %error, "HTTP connection failed");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";

    async fn answer(socket: &mut TcpStream) -> String {
        let mut buffer = [0; 1024];
        let length = socket.read(&mut buffer).await.unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[tokio::test]
    async fn who_comes_beyond_the_limit_is_served_when_another_has_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let routes = Router::new().route("/", get(async || "here"));
        let served = tokio::spawn(serve(listener, routes, 1, stop.clone()));
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(REQUEST).await.unwrap();
        assert!(answer(&mut first).await.ends_with("here"));
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(REQUEST).await.unwrap();
        for _ in 0..10 {
            first.write_all(REQUEST).await.unwrap();
            assert!(answer(&mut first).await.ends_with("here"));
        }
        assert!(second.try_read(&mut [0; 1]).is_err(), "served beyond the limit");
        drop(first);
        assert!(answer(&mut second).await.ends_with("here"));
        stop.cancel();
        served.await.unwrap();
        assert_eq!(answer(&mut second).await, "", "an idle connection ends with the server");
    }
}
