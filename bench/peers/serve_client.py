"""OpenAI's Python client against a running server: python serve_client.py http://127.0.0.1:8000 g2p"""

import sys

import openai

url, model = sys.argv[1:3]
client = openai.OpenAI(base_url=f"{url}/v1", api_key=sys.argv[3] if len(sys.argv) > 3 else "none", max_retries=0)
prompt = "hello"
messages = [{"role": "user", "content": prompt}]

answer = client.completions.create(model=model, prompt=prompt)
text = answer.choices[0].text
assert answer.choices[0].finish_reason in ("stop", "length") and answer.usage.completion_tokens > 0

parts = list(client.completions.create(model=model, prompt=prompt, stream=True, stream_options={"include_usage": True}))
assert "".join(choice.text for part in parts for choice in part.choices) == text
assert parts[-1].usage == answer.usage

two = client.completions.create(model=model, prompt=[prompt, "world"], n=2, temperature=1.0, seed=1, logprobs=3, echo=True)
assert [choice.index for choice in two.choices] == [0, 1, 2, 3]
assert two.choices[0].logprobs.token_logprobs[0] is None and len(two.choices[0].logprobs.top_logprobs[-1]) >= 3

chat = client.chat.completions.create(model=model, messages=messages, logprobs=True, top_logprobs=2)
assert chat.choices[0].message.content == text and len(chat.choices[0].logprobs.content[0].top_logprobs) == 2
with client.chat.completions.stream(model=model, messages=messages) as stream:
    assert stream.get_final_completion().choices[0].message.content == text

assert client.responses.create(model=model, input=prompt).output_text == text
with client.responses.stream(model=model, input=prompt) as stream:
    for _ in stream:
        pass
    assert stream.get_final_response().output_text == text

choice = client.completions.create(model=model, prompt=prompt, extra_body={"structured_outputs": {"choice": [text]}})
assert choice.choices[0].text == text

assert model in [each.id for each in client.models.list()] and client.models.retrieve(model).id == model
for body, kind in [({"frequency_penalty": 1}, openai.BadRequestError), ({"model": "none"}, openai.NotFoundError)]:
    try:
        client.completions.create(**{"model": model, "prompt": prompt, **body})
    except kind as error:
        assert error.request_id
    else:
        raise AssertionError(f"{body} was accepted")
print(f"openai {openai.__version__}: all answers are as expected")
