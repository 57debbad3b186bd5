-- After the model: see `finish_turn` in `migrations/`.
select finish_turn($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
