-- The event of docker compose, with an entry for each vehicle of fleet-sim's race of seed 1. Needs Directus' collections
-- (snapshot.yaml). Safe to run twice: ids are derived from the data.
begin;

create temporary table race_imeis (imei text) on commit drop;
insert into race_imeis values
  ('000000010000016'), ('000000010000024'), ('000000010000032'), ('000000010000040'), ('000000010000057'),
  ('000000010000065'), ('000000010000073'), ('000000010000081'), ('000000010000099'), ('000000010000107'),
  ('000000010000115'), ('000000010000123'), ('000000010000131'), ('000000010000149'), ('000000010000156'),
  ('000000010000164'), ('000000010000172'), ('000000010000180'), ('000000010000198'), ('000000010000206'),
  ('000000010000214'), ('000000010000222'), ('000000010000230'), ('000000010000248'), ('000000010000255'),
  ('000000010000263'), ('000000010000271'), ('000000010000289'), ('000000010000297'), ('000000010000305'),
  ('000000010000313'), ('000000010000321'), ('000000010000339'), ('000000010000347'), ('000000010000354'),
  ('000000010000362'), ('000000010000370'), ('000000010000388'), ('000000010000396'), ('000000010000404'),
  ('000000010000412'), ('000000010000420'), ('000000010000438'), ('000000010000446'), ('000000010000453'),
  ('000000010000461'), ('000000010000479'), ('000000010000487'), ('000000010000495'), ('000000010000503');

insert into events (id, name) values ('5f1d6a3e-0b0c-4c53-9d7e-2a61c8f0e5a1', 'A simulated rally')
on conflict do nothing;

insert into devices (id, imei)
select md5('device ' || imei)::uuid, imei from race_imeis
on conflict do nothing;

insert into entries (id, name, event_id)
select md5('entry ' || imei)::uuid, 'No. ' || row_number() over (order by imei), '5f1d6a3e-0b0c-4c53-9d7e-2a61c8f0e5a1'
from race_imeis
on conflict do nothing;

insert into entry_devices (id, entry_id, device_id)
select md5('entry device ' || imei)::uuid, md5('entry ' || imei)::uuid, devices.id
from race_imeis join devices using (imei)
on conflict do nothing;

commit;
