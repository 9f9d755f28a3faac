"""What a Python program does with redis-py, from a job's life to a transaction.

Run by redispy_test.go with the port and the password; prints "ok" at the end.
Works with redis-py 4 (Debian) to 8.
"""
import logging
import re
import sys
import threading

import redis

logging.basicConfig(level=logging.WARNING, stream=sys.stdout)  # a log line spoils the output

port, password = int(sys.argv[1]), sys.argv[2]
r = redis.Redis(port=port, password=password, client_name="worker", decode_responses=True)
job_id = re.compile(r"^D-[0-9a-f]{8}-[A-Za-z0-9+/]{24}-[0-9a-f]{4}$")

assert r.ping()
assert r.client_getname() == "worker"
job = r.execute_command("ADDJOB", "mail", "hello", 0, "RETRY", 60)
assert job_id.match(job), job
assert len(r.execute_command("SHOW", job)) == 30
assert len(r.execute_command("QSTAT", "mail")) == 20
assert r.execute_command("GETJOB", "FROM", "mail") == [["mail", job, "hello"]]
assert r.execute_command("ACKJOB", job) == 1
assert r.execute_command("SHOW", job) is None
assert r.execute_command("GETJOB", "TIMEOUT", 20, "FROM", "mail") is None

blocked = []
consumer = threading.Thread(target=lambda: blocked.append(r.execute_command("GETJOB", "TIMEOUT", 4000, "FROM", "later")))
consumer.start()
while r.info("clients")["blocked_clients"] == 0:
    pass
job = r.execute_command("ADDJOB", "later", "x", 0)
consumer.join()
assert blocked == [[["later", job, "x"]]], blocked

for transaction in (False, True):  # True, MULTI and EXEC, is the default
    with r.pipeline(transaction=transaction) as pipe:
        for i in range(100):
            pipe.execute_command("ADDJOB", "many", i, 0)
        ids = pipe.execute()
    assert len(set(ids)) == 100 and all(job_id.match(i) for i in ids), ids

info = r.info()
assert info["registered_jobs"] == 201, info["registered_jobs"]
assert info["loading"] == 0
assert r.config_get("maxmemory-policy") == {"maxmemory-policy": "acks"}
assert r.command_count() > 30
assert "addjob" in r.command()
assert any(c["name"] == "worker" for c in r.client_list())
assert r.client_id() > 0 and r.echo("x") == "x" and r.time()

for wrong, text in (("nope", "invalid username-password pair"), (None, "Authentication required")):
    try:
        redis.Redis(port=port, password=wrong).ping()
    except (redis.AuthenticationError, redis.ResponseError) as e:  # redis-py 4.3 has no class for WRONGPASS
        assert text in str(e), e
    else:
        raise AssertionError("connected without the password")

r.close()
print("ok")
