-- A webhook is a few kilobytes of JSON: lz4 packs it in a tenth of the time, where the server has it.
do $$
begin
    alter table webhooks alter column body set compression lz4;
exception when feature_not_supported or invalid_parameter_value then
    raise notice 'this server has no lz4: webhook bodies stay packed with pglz';
end $$;
