-- Whether there are vectors of a model. A function, because it is one round trip also where there is no
-- place for vectors: a statement of its own must not name a table that is not there.
create function {turn}.has_vectors(vector_model text) returns boolean
language plpgsql stable
as $$
begin
    if to_regclass('book_vectors') is null then
        return false;
    end if;
    return exists (select from book_vectors where model = vector_model);
end
$$;
