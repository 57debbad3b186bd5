-- After the model: the answer, and what the turn has cost.
select {turn}.finish(
    this_answer => $1, this_session => $2, answer => $3, this_question => $4, answer_state => $5,
    spending_day => $6, spending_shard => $7, reserved => $8, cost => $9,
    began_at => $10, replaces => $11
) as stored_at
