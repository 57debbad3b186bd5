//! The function `health`: see [`textbook_chat::health`].

use textbook_chat::{function, health};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), vercel_runtime::Error> {
    function::run(&health::ROUTE).await
}
