//! The function `chat`: see [`textbook_chat::chat`].

use textbook_chat::{chat, function};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), vercel_runtime::Error> {
    function::run(&chat::ROUTE).await
}
