"""Spread an engine's tasks over machines, by way of NATS.

Terms. The *hub* is the master's half: it knows which members there are and makes an engine for each job. The *agent*
is a member's half: it dials the server, says hello every second, and runs a *session* for each engine that takes it
in. A session drives a LocalEngine: members do not have worker processes of another kind. A *link* joins engine and
session: two streams of messages, each in order and without loss or repetition, over request and reply. A *token* is a
message in the work-queue stream, one for each task that waits; it holds a number and no content.

How a task goes:
1. The engine keeps an offered task and puts a token into the stream.
2. A member with a free slot draws a token and says so on its link. The engine answers with the lowest task that waits.
3. The member renews the token's lease (in-progress acknowledgements) while one of its workers holds the task.
4. What its workers say goes over the link, and stays with the member until the master has confirmed it. After the
   confirmation of a task's last word the token is acknowledged, twice over.
5. A member that is silent past the lease is struck off: its tasks lapse, its link is void for ever. When it is heard of
   again it gets a new link, under the same name.

The stream decides when somebody asks for work, never which task or whether it is done. So a server that is killed loses
nothing: what waits gets new tokens, links send again what was not confirmed, and a token too many is answered with
"nothing waits".

Not guaranteed: a token for each task at any moment. The engine looks for tasks that wait in vain and adds tokens.
"""
