//! The function `refresh`: see [`textbook_chat::refresh`].

use textbook_chat::{function, refresh};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), vercel_runtime::Error> {
    function::run(&refresh::ROUTE).await
}
