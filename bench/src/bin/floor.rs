//! The floor: the least that a turn can be, for the functions to be measured against.
//!
//! The same runtime, pool and two statements as a function's, around a raw HTTP call to the same
//! model; one conversation for each connection. It parses nothing, logs nothing, checks nothing and
//! recovers from nothing. Whatever a function costs beyond that is the function's own.

use std::{
    convert::Infallible,
    env,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context, Result};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use textbook_chat::database::functions::Functions;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use tokio_postgres::{NoTls, types::Type};
use uuid::Uuid;

/// The functions' own SQL functions, so that the database's part is equal, with limits off.
const BEGIN: &str = "
select role, content, selected_text, state
from {turn}.begin(
    named_session => $1, new_session => $1, new_question => $2, new_answer => $3, message => $4,
    fixed_cost => $5, byte_cost => $6, history_messages => $7, message_bytes => $8,
    max_history_bytes => $9, spending_shard => $10, budget => $11, sweeps => $12
)";
const FINISH: &str = "
select {turn}.finish(
    this_answer => $1, this_session => $2, answer => $3, this_question => $4,
    answer_state => 'complete', cost => $5, began_at => null, replaces => null
)";

/// What a message of the history takes in a prompt beside its texts, in bytes.
const MESSAGE_BYTES: i64 = 150;

/// The default of `DATABASE_POOL_SIZE`.
const POOL_SIZE: usize = 4;
const QUESTION: &str = "What is a humanoid robot?";
const ANSWER: &str = "A humanoid robot is built like a person.";

struct Floor {
    pool: Pool,
    begin: String,
    finish: String,
    model: String,
    request: Vec<u8>,
    /// Idle connections to the model, for the next turn.
    idle: Mutex<Vec<TcpStream>>,
    turns: AtomicU32,
}

#[tokio::main]
async fn main() -> Result<()> {
    let variable = |name| env::var(name).with_context(|| format!("{name} is missing"));
    let manager = Manager::from_config(
        variable("DATABASE_URL")?.parse()?,
        NoTls,
        ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        },
    );
    let model = variable("OPENAI_BASE_URL")?;
    let model = model.trim_start_matches("http://").trim_end_matches("/v1");
    let body = format!(r#"{{"messages":[{{"role":"user","content":"{QUESTION}"}}]}}"#);
    let floor = Arc::new(Floor {
        pool: Pool::builder(manager).max_size(POOL_SIZE).build()?,
        begin: Functions::current().call(BEGIN),
        finish: Functions::current().call(FINISH),
        model: model.to_owned(),
        request: format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {model}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into(),
        idle: Mutex::default(),
        turns: AtomicU32::new(0),
    });
    let port = variable("VERCEL_DEV_PORT")?.parse()?;
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    let listener = socket.listen(4096)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let floor = Arc::clone(&floor);
        tokio::spawn(async move {
            let session = Uuid::now_v7();
            let service = service_fn(move |request| answer(Arc::clone(&floor), session, request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = connection.await;
        });
    }
}

async fn answer(
    floor: Arc<Floor>,
    session: Uuid,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let done = async {
        request.into_body().collect().await?;
        floor.turn(session).await
    };
    let (status, body) = match done.await {
        Ok(()) => (
            200,
            format!(r#"{{"response":"{ANSWER}","session_id":"{session}"}}"#),
        ),
        Err(error) => (500, format!("{error:#}")),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status.try_into().unwrap_or_default();
    let kind = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

impl Floor {
    async fn turn(&self, session: Uuid) -> Result<()> {
        let count = self.turns.fetch_add(1, Ordering::Relaxed);
        let (question, answer) = (Uuid::now_v7(), Uuid::now_v7());
        // As rarely as a function does, and with as many rows.
        let (shard, sweep) = (i16::try_from(count % 16)?, count % 100 == 99);
        let (budget, cost, price) = (1_000_000_000_000_000_i64, 5_000_000_i64, 750_i64);
        let (history, characters) = (10_i64, 48_000_i64);
        let connection = self.pool.get().await?;
        connection
            .query_typed(
                &self.begin,
                &[
                    (&session, Type::UUID),
                    (&question, Type::UUID),
                    (&answer, Type::UUID),
                    (&QUESTION, Type::TEXT),
                    (&cost, Type::INT8),
                    (&price, Type::INT8),
                    (&history, Type::INT8),
                    (&MESSAGE_BYTES, Type::INT8),
                    (&characters, Type::INT8),
                    (&shard, Type::INT2),
                    (&budget, Type::INT8),
                    (&sweep, Type::BOOL),
                ],
            )
            .await?;
        drop(connection);

        self.ask().await?;

        let real_cost = 63_000_i64;
        let connection = self.pool.get().await?;
        connection
            .query_typed(
                &self.finish,
                &[
                    (&answer, Type::UUID),
                    (&session, Type::UUID),
                    (&ANSWER, Type::TEXT),
                    (&question, Type::UUID),
                    (&real_cost, Type::INT8),
                ],
            )
            .await?;
        Ok(())
    }

    async fn ask(&self) -> Result<()> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let mut stream = if let Some(stream) = kept {
            stream
        } else {
            let stream = TcpStream::connect(&self.model).await?;
            stream.set_nodelay(true)?;
            stream
        };
        stream.write_all(&self.request).await?;
        let mut response = Vec::with_capacity(4096);
        while !response.ends_with(b"\r\n0\r\n\r\n") {
            anyhow::ensure!(
                stream.read_buf(&mut response).await? > 0,
                "the model has left"
            );
        }
        idle().push(stream);
        Ok(())
    }
}
